/** The view "Families": the served families with all their instances. */
import type { Instance, Model } from './api.ts';
import { chosenFrom, fullOf, runMs } from './budget.ts';
import { bytes, flops, ms, percent } from './format.ts';
import { Frontier } from './frontier.tsx';

export function Families({ models }: { models: readonly Model[] }) {
  return (
    <>
      <div class="lead">
        <h1>What is served here</h1>
        <p>A family is a trained network, or several, and the instances that run them at other costs.</p>
      </div>
      {models
        .toSorted((a, b) => Number(b.default) - Number(a.default))
        .map((model) => (
          <FamilyCard key={model.name} model={model} />
        ))}
    </>
  );
}

function FamilyCard({ model }: { model: Model }) {
  const { name, description, architecture, networks, input, labels, measuredOn } = model;
  const { license, source, instances, device, version } = model;
  const title = `family-${name}`;
  return (
    <section class="card family-card" aria-labelledby={title}>
      <h2 id={title}>
        {name} {model.default && <span class="badge">default</span>}
      </h2>
      <p>{description}</p>
      <div class="columns two">
        <Frontier model={model} />
        <dl class="list">
          <Fact name="Labels">
            {labels.length} classes: {labels.slice(0, 4).join(', ')}, …
          </Fact>
          <Fact name="Network">
            {architecture}, pictures of {input.width}×{input.height}
          </Fact>
          <Fact name="Accuracy measured on">
            {measuredOn.dataset}, {measuredOn.part}: {measuredOn.scope} ({measuredOn.runtime})
          </Fact>
          <Fact name="Runs on">{device === 'cuda' ? 'GPU (CUDA)' : 'CPU'}</Fact>
          <Fact name="One run here">
            {ms(runMs(fullOf(model)))} for the full network, {ms(Math.min(...chosenFrom(model).map(runMs)))} for the
            fastest instance
          </Fact>
          <Fact name="Weights">{weightsInWords(model)}</Fact>
          <Fact name="Licence">{license}</Fact>
          <Fact name="Where it is from">{source}</Fact>
          {Object.entries(networks ?? {}).map(([key, other]) => (
            <Fact key={key} name={`Network ${key}`}>
              {other.architecture}, {other.license}, {other.source}
            </Fact>
          ))}
          <Fact name="Version">
            <code>{version}</code>
          </Fact>
        </dl>
      </div>
      <details>
        <summary>All {instances.length} instances</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
        <section class="scroll" tabIndex={0} aria-label={`Instances of ${name}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Instance</th>
                {networks && <th scope="col">Network</th>}
                <th scope="col">Cost</th>
                <th scope="col">FLOPs</th>
                <th scope="col">Top-1</th>
                <th scope="col">95 % interval</th>
                <th scope="col">One run here</th>
                <th scope="col">Served</th>
              </tr>
            </thead>
            <tbody>
              {instances.map((i) => (
                <tr key={i.id}>
                  <th scope="row">{i.id}</th>
                  {networks && <td>{architectureOf(model, i)}</td>}
                  <td>{percent(i.share, 1)}</td>
                  <td>{flops(i.flops)}</td>
                  <td>{percent(i.top1, 2)}</td>
                  <td>
                    {percent(i.interval[0], 1)} – {percent(i.interval[1], 1)}
                  </td>
                  <td>{ms(runMs(i))}</td>
                  <td>{i.served ? 'yes' : 'if pinned'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Architecture of the network that this is an instance of. */
const architectureOf = ({ architecture, networks }: Model, { network }: Instance): string =>
  network === undefined ? architecture : (networks?.[network]?.architecture ?? network);

function weightsInWords({ weights, instances }: Model): string {
  if (!weights.shared) return `each of the ${instances.length} instances has a copy of its own`;
  const size = weights.bytes === undefined ? '' : `, ${bytes(weights.bytes)}`;
  return `one copy shared by all ${instances.length} instances${size}`;
}
