/** Answers that no target gives. The edge says who it is as ALB does, so that a client can tell them from a target's. */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const SERVER = 'awselb/2.0';

const page = (status: number): string => {
  const title = `${status} ${STATUS_CODES[status]}`;
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`;
};

export function errorPage(response: ServerResponse, status: number): void {
  answer(response, status, { 'content-type': 'text/html' }, page(status));
}

export function answer(response: ServerResponse, status: number, headers: Record<string, string>, body = ''): void {
  response.writeHead(status, { server: SERVER, 'content-length': String(Buffer.byteLength(body)), ...headers });
  response.end(body);
}

/** On a connection that asked to become a WebSocket; it is closed then. */
export function writeRaw(
  socket: Duplex,
  status: number,
  headers: Record<string, string> = {},
  body = page(status),
): void {
  const lines = {
    server: SERVER,
    'content-type': 'text/html',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...headers,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${text.join('')}\r\n${body}`);
}
