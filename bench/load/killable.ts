/** Loaded into a service before its own code, by `node --import`: one of its engine threads dies at SIGUSR2. */
import { isMainThread } from 'node:worker_threads';
import { killOne, mayBeKilled } from './death.js';

if (isMainThread) process.on('SIGUSR2', killOne);
else mayBeKilled();
