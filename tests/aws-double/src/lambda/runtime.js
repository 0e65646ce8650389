// What Lambda does with a function: its archive is taken apart, its handler called once, with the event from stdin.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");

function unpack(archive, folder) {
  // The directory is at the end, behind a comment that nobody writes.
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const [method, size] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20)];
    const [name, extra, comment] = [28, 30, 32].map((field) => archive.readUInt16LE(at + field));
    const file = path.join(folder, archive.toString("utf8", at + 46, at + 46 + name));
    const entry = archive.readUInt32LE(at + 42);
    const begin = entry + 30 + archive.readUInt16LE(entry + 26) + archive.readUInt16LE(entry + 28);
    const packed = archive.subarray(begin, begin + size);
    if (!file.endsWith(path.sep)) {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, method === 8 ? zlib.inflateRawSync(packed) : packed);
    }
    at += 46 + name + extra + comment;
  }
}

const folder = path.join(process.cwd(), "task");
unpack(fs.readFileSync("function.zip"), folder);
const [file, name] = process.argv[2].split(".");
const handler = require(path.join(folder, file))[name];
const end = Date.now() + Number(process.env.TIMEOUT_MS);
const context = {
  functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
  logGroupName: `/aws/lambda/${process.env.AWS_LAMBDA_FUNCTION_NAME}`,
  logStreamName: "double",
  getRemainingTimeInMillis: () => end - Date.now(),
  done: () => {},
};
Promise.resolve(handler(JSON.parse(fs.readFileSync(0)), context)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
