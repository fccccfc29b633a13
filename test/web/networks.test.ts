/** The page with a family of two networks. */
import t from 'tap';
import type { Model } from '../../web/src/api.js';
import { fullOf, scaleOf } from '../../web/src/budget.js';
import { readyApp, temporaryFolder } from '../support/app.js';
import { twoNetworks } from '../support/two-networks.js';
import { launch, NO_BROWSER, onPage } from './browser.js';

const models = temporaryFolder(t);
twoNetworks(models);

t.test('the full network is `full`, also beside another network that pools nowhere', async (t) => {
  const { url } = await readyApp(t, { MODELS_DIR: models });
  const model = (await (await fetch(`${url}/models/tiny`)).json()) as Model;
  const full = fullOf(model);
  t.equal(full.id, 'full');
  t.ok(model.instances.findIndex((i) => i.p === 0) < model.instances.indexOf(full), 'the other comes first');
  const flops = scaleOf('flops', model);
  t.equal(flops.valueAt(flops.places), full.flops);
});

t.test('the view of families shows the networks, if there are several', { skip: NO_BROWSER }, async (t) => {
  const browser = await launch(t);
  for (const several of [true, false]) {
    const { url } = await readyApp(t, several ? { MODELS_DIR: models } : {});
    await onPage(t, browser, `${url}/#families`, {}, async (page) => {
      await page.locator('summary').click();
      const heads = await page.locator('thead th').allTextContents();
      t.equal(heads.includes('Network'), several);
      t.equal(await page.getByText('Network b').count(), several ? 1 : 0);
      const cells = await page.locator('tbody tr').first().locator('th, td').count();
      t.equal(cells, heads.length);
    });
  }
});
