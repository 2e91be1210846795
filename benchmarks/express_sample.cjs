// What Twilio's own Node tutorial makes: Express, validateRequest, MessagingResponse.
// Run by webhook_path.py with NODE_PATH set to a folder with express and twilio.
const express = require("express");
const twilio = require("twilio");

const [token, url] = process.argv.slice(2);
const app = express();
app.use(express.urlencoded({ extended: false }));

app.post("/sms", (request, response) => {
  const signature = request.headers["x-twilio-signature"];
  if (!twilio.validateRequest(token, signature, url, request.body)) {
    response.sendStatus(403);
    return;
  }
  const twiml = new twilio.twiml.MessagingResponse();
  twiml.message(`You said: ${request.body.Body}`);
  response.type("text/xml").send(twiml.toString());
});

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
