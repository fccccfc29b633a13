/** Makes .env.example from the schema of the configuration. */
import { configSchema } from './config.js';

/** The text of .env.example: every setting with its default and its description. */
export function exampleEnvironment(): string {
  const lines = Object.entries(configSchema.shape).map(([key, schema]) => {
    const standard = schema.safeParse(undefined).data;
    return `# ${schema.description}\n# ${key}=${standard ?? ''}\n`;
  });
  return `# Settings of the service, all optional. The values shown are the defaults.\n\n${lines.join('\n')}`;
}
