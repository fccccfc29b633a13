/** The questions that open docs/benchmarks.md, each answered by the results that are there; without any it is left out. */
import { questionsOfChoice } from './questions-choice.js';
import { questionsOfService } from './questions-service.js';
import type { Material } from './results.js';
import type { Question } from './statement.js';

export const questions = (material: Material): Question[] =>
  [...questionsOfChoice(material), ...questionsOfService(material)].filter((q) => q.statements.length > 0);
