/** What a run found, as a document, a page and a text; and what a day was. */
export { dailySummary, summaryOfDay, type DailySummary } from './day.js';
export { htmlReport } from './html.js';
export { markdownReport } from './markdown.js';
export { runReport, type ReportOptions, type RunReport } from './report.js';
