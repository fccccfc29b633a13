/** An engine thread that can be killed: for traces in which one dies. */
import '../../src/runtime/worker.js';
import { mayBeKilled } from './death.js';

mayBeKilled();
