import type { CpuMs, WallMs } from './units.js';

export interface Times {
  readonly meanMs: WallMs;
  readonly highMs: WallMs;
  readonly idleMs: WallMs;
  readonly cpuMs: CpuMs;
}
export type PictureKind = 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';
export interface LatencyModel {
  run(key: string, size: number): Times;
  decode(family: string, kind: PictureKind, megapixels: number): Times;
  ran(key: string, size: number, wallMs: number): void;
  decoded(family: string, kind: PictureKind, megapixels: number, wallMs: number): void;
}
