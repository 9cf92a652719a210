// One channel: what is posted to /run goes to every reader of /events. Nothing is kept.
import { createServer } from "node:http";
import { createChannel, createSession } from "better-sse";

const channel = createChannel();

createServer(async (request, response) => {
  if (request.method === "GET") {
    channel.register(await createSession(request, response));
    return;
  }
  let body = "";
  request.setEncoding("utf8");
  for await (const piece of request) body += piece;
  channel.broadcast(body);
  response.writeHead(204, { "Content-Length": 0 }).end();
}).listen(Number(process.argv[2]), "127.0.0.1", 4096);
