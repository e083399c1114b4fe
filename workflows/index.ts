/** Every workflow by the name it is started with. Nothing else is exported: the worker registers whatever it finds. */
export { analyze } from './analyze.js';
export { certificate } from './certificate.js';
export { cutover } from './cutover.js';
export { finalize } from './finalize.js';
export { grants } from './grants.js';
export { initialSync } from './initialSync.js';
export { lookout } from './lookout.js';
export { migration } from './migration.js';
export { plan } from './plan.js';
export { preflight } from './preflight.js';
export { refreshViews } from './refreshViews.js';
export { replicationSetup } from './replicationSetup.js';
export { rollback } from './rollback.js';
export { trafficShift } from './trafficShift.js';
export { validation } from './validation.js';
