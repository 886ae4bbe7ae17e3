// SPDX-License-Identifier: GPL-3.0-or-later
// ws_pod.js ADDRESS PORT - a WebSocket server as Node people write one: it says every message back, and closes when told to.
const {WebSocketServer} = require('ws');

const [host, port] = process.argv.slice(2);
const server = new WebSocketServer({host, port: Number(port), perMessageDeflate: true, maxPayload: 64 << 20});
server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    if (!binary && data.toString() === 'leave') socket.close(4001, 'as you wish');
    else if (!binary && data.toString() === 'who') socket.send(request.headers['x-forwarded-for'] || '');
    else socket.send(data, {binary});
  });
});
server.on('listening', () => console.log('ready'));
