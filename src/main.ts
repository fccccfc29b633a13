/** Entry point of the container: runs the service, with its settings from the environment. */
import { messageOf, StartError } from './errors.js';
import { serve } from './serve.js';

try {
  await serve(process.env);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(messageOf(error));
  process.exit(1);
}
