// SPDX-License-Identifier: GPL-3.0-or-later
// ws_client.js URL ADDRESS CA|- - talks through the edge with the `ws` package; what happened as JSON on standard output.
const fs = require('fs');
const crypto = require('crypto');
const {WebSocket} = require('ws');

const [url, address, ca] = process.argv.slice(2);
const [host, port] = address.split(':');
const options = {
  perMessageDeflate: true, maxPayload: 64 << 20, lookup: (_, __, done) => done(null, [{address: host, family: 4}]),
  ...(ca === '-' ? {} : {ca: fs.readFileSync(ca)}),
};
const socket = new WebSocket(url.replace('PORT', port), options);
const next = () => new Promise((resolve) => socket.once('message', (data, binary) => resolve({data, binary})));

async function talk() {
  const out = {extensions: socket.extensions};
  const big = crypto.randomBytes(3_000_000);
  socket.send(big);
  let answer = await next();
  out.big = answer.binary && answer.data.equals(big);
  const words = 'again and '.repeat(200_000);
  socket.send(words);
  answer = await next();
  out.words = !answer.binary && answer.data.toString() === words;
  socket.send('who');
  out.who = (await next()).data.toString();
  out.pong = await new Promise((resolve) => {
    socket.once('pong', (data) => resolve(data.toString()));
    socket.ping('are you there');
  });
  const closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve([code, reason.toString()])));
  socket.send('leave');
  out.closed = await closed;
  return out;
}

socket.on('error', (e) => { console.error(e); process.exit(1); });
socket.on('open', () => talk().then((out) => console.log(JSON.stringify(out))));
