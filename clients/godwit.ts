#!/usr/bin/env node
/** The `godwit` command. */
import { run } from './command-line.js';
import { processTerminal } from './terminal.js';

process.exitCode = await run(process.argv.slice(2), processTerminal());
