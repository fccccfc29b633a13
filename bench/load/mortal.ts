/** The service's engine thread, made killable by `killOne`: for traces in which an engine thread dies. */
import '../../src/runtime/worker.js';
import { mayBeKilled } from './death.js';

mayBeKilled();
