/** For `node --import`, before the code of the service: at SIGUSR2 one of its engine threads dies. */
import { isMainThread } from 'node:worker_threads';
import { killOne, mayBeKilled } from './death.js';

if (isMainThread) process.on('SIGUSR2', killOne);
else mayBeKilled();
