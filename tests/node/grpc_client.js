// SPDX-License-Identifier: GPL-3.0-or-later
// grpc_client.js TARGET AUTHORITY CA|- STORY - one story as a gRPC client tells it; what happened as JSON on standard output.
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const {service} = require('./grpc_pod.js');

const [target, authority, ca, story] = process.argv.slice(2);
const credentials = ca === '-' ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(fs.readFileSync(ca));
const Client = grpc.makeGenericClientConstructor(service, 'ringress.Test');
const client = new Client(target, credentials, {
  'grpc.ssl_target_name_override': authority, 'grpc.default_authority': authority, 'grpc.max_receive_message_length': -1,
});

const asked = new grpc.Metadata();
asked.set('x-ask', 'a');
const told = (metadata) => metadata && {
  trailer: metadata.get('x-trailer')[0], proof: (metadata.get('x-proof-bin')[0] || Buffer.alloc(0)).toString('hex'),
};
const failure = (e) => ({code: e.code, details: e.details, ...told(e.metadata)});

function once(name, request, options = {}) {
  return new Promise((resolve) => {
    const out = {};
    const call = client[name](request, asked, options, (e, reply) => {
      out.reply = e ? failure(e) : reply.toString();
      // the status comes after the reply
      if (e) resolve(out);
    });
    call.on('metadata', (m) => {
      out.head = m.get('x-head')[0];
      if (options.cancelAtHead) call.cancel();
    });
    call.on('status', (s) => { out.status = {code: s.code, ...told(s.metadata)}; setImmediate(() => resolve(out)); });
  });
}

// What is given up before it is said is not heard of.
function connected() {
  return new Promise((resolve, reject) => client.waitForReady(Date.now() + 60000, (e) => { if (e) reject(e); else resolve(); }));
}

function reading(call) {
  return new Promise((resolve) => {
    const out = {count: 0, bytes: 0};
    call.on('data', (b) => { out.count += 1; out.bytes += b.length; });
    call.on('error', (e) => { out.error = failure(e); });
    call.on('status', (s) => { out.status = {code: s.code, ...told(s.metadata)}; resolve(out); });
  });
}

const stories = {
  unary: () => once('unary', Buffer.from('hello')),
  fail: () => once('fail', Buffer.from('x')),
  big: () => once('unary', Buffer.alloc(3 << 20, 'b')).then((o) => ({...o, reply: o.reply.length})),
  deadline: () => connected().then(() => once('slow', Buffer.from('x'), {deadline: Date.now() + 1000})),
  cancel: () => once('slow', Buffer.from('x'), {cancelAtHead: true}),
  download: () => reading(client.download(Buffer.from('2000 3000'), asked)),
  upload: () => new Promise((resolve) => {
    const out = {};
    const call = client.upload(asked, (e, reply) => { out.reply = e ? failure(e) : reply.toString(); });
    call.on('status', (s) => { out.status = {code: s.code, ...told(s.metadata)}; setImmediate(() => resolve(out)); });
    let i = 0;
    const more = () => {
      while (i < 2000) {
        i += 1;
        if (!call.write(Buffer.alloc(3000, i))) { call.once('drain', more); return; }
      }
      call.end();
    };
    more();
  }),
  // each message is written when the one before has come back
  chat: () => new Promise((resolve) => {
    const call = client.chat(asked), out = {said: []};
    call.on('data', (b) => {
      out.said.push(b.toString());
      if (out.said.length < 100) call.write(Buffer.from(`${out.said.length}`));
      else call.end();
    });
    call.on('status', (s) => { out.status = {code: s.code, ...told(s.metadata)}; resolve(out); });
    call.write(Buffer.from('0'));
  }),
  cancelled: () => new Promise((resolve) => {
    const call = client.chat(asked);
    call.on('data', (b) => { call.end(); resolve(Number(b.toString())); });
    call.write(Buffer.from('cancelled?'));
  }),
  many: () => Promise.all([...Array(500).keys()].map((i) => once('unary', Buffer.from(`${i}`))))
    .then((all) => all.filter((o, i) => o.reply === `re:${i}` && o.status.code === 0).length),
};

stories[story]().then((out) => {
  console.log(JSON.stringify(out));
  client.close();
});
