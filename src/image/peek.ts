import type { PictureKind } from '../latency/model.js';
export interface Size { readonly kind: PictureKind; readonly megapixels: number }
export function peek(bytes: Uint8Array): Size { return { kind: 'JPEG', megapixels: bytes.length / 2e5 }; }
