// SPDX-License-Identifier: GPL-3.0-or-later
// grpc_pod.js ADDRESS PORT [CHAIN KEY] - a gRPC server of every kind of call, over cleartext HTTP/2 or TLS; messages are bytes.
const fs = require('fs');
const grpc = require('@grpc/grpc-js');

const same = (b) => b;
const kind = (path, requestStream, responseStream) => ({
  path: `/ringress.Test/${path}`, requestStream, responseStream,
  requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
});
const service = {
  unary: kind('Unary', false, false),
  fail: kind('Fail', false, false),
  slow: kind('Slow', false, false),
  download: kind('Download', false, true),
  upload: kind('Upload', true, false),
  chat: kind('Chat', true, true),
};

function told(call) {
  const trailer = new grpc.Metadata();
  trailer.set('x-trailer', `t-${call.metadata.get('x-ask')[0] || ''}`);
  trailer.set('x-proof-bin', Buffer.from([0, 255, 10, 13]));
  return trailer;
}

let cancelled = 0;
if (require.main === module) {
  const server = new grpc.Server({'grpc.max_receive_message_length': -1});
  server.addService(service, {
    unary: (call, done) => {
      const head = new grpc.Metadata();
      head.set('x-head', 'h');
      call.sendMetadata(head);
      done(null, Buffer.concat([Buffer.from('re:'), call.request]), told(call));
    },
    fail: (call, done) => done({code: grpc.status.FAILED_PRECONDITION, details: 'nö: 100 %', metadata: told(call)}),
    slow: (call) => { // its head says that it has been heard
      call.on('cancelled', () => { cancelled += 1; });
      call.sendMetadata(new grpc.Metadata());
    },
    download: (call) => {
      const [count, size] = call.request.toString().split(' ').map(Number);
      let i = 0;
      const more = () => {
        while (i < count) {
          i += 1;
          if (!call.write(Buffer.alloc(size, i))) { call.once('drain', more); return; }
        }
        call.end(told(call));
      };
      more();
    },
    upload: (call, done) => {
      let bytes = 0, count = 0;
      call.on('data', (b) => { bytes += b.length; count += 1; });
      call.on('end', () => done(null, Buffer.from(`${count} ${bytes}`), told(call)));
    },
    chat: (call) => {
      call.on('data', (b) => call.write(b.toString() === 'cancelled?' ? Buffer.from(`${cancelled}`) : b));
      call.on('end', () => call.end(told(call)));
    },
  });
  const [chain, key] = process.argv.slice(4).map((file) => fs.readFileSync(file));
  const credentials = chain ? grpc.ServerCredentials.createSsl(null, [{cert_chain: chain, private_key: key}])
    : grpc.ServerCredentials.createInsecure();
  server.bindAsync(`${process.argv[2]}:${process.argv[3]}`, credentials, (error) => {
    if (error) throw error;
    console.log('ready');
  });
}
module.exports = {service};
