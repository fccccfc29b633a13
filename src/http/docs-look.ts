/** Title, logo and icon for the pages of swagger-ui. */
import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui';

/** The logo, a dial, as SVG; the same drawing as web/public/icon.svg. */
const MARK =
  '<path d="M9.2 22.8a9.6 9.6 0 1 1 13.6 0" fill="none" stroke="#f2a33a" stroke-width="3" stroke-linecap="round"/><circle cx="16" cy="16" r="5.2" fill="#f2a33a"/><path d="M16 16l5-5" stroke="#1d2230" stroke-width="2.4" stroke-linecap="round"/>';
const svg = (width: number, inside: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} 32" height="32">${inside}</svg>`;
const NAME =
  '<text x="38" y="23" font-family="system-ui, sans-serif" font-size="22" font-weight="600" fill="#fff">dimmer</text>';

export const docsLook: Pick<FastifySwaggerUiOptions, 'logo' | 'theme'> = {
  logo: { type: 'image/svg+xml', content: svg(120, MARK + NAME) },
  theme: {
    title: 'dimmer: the API',
    favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: svg(32, MARK) }],
  },
};
