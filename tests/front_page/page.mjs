// Looks at / in a real browser that can reach no host but this one:
//   node page.mjs PLAYWRIGHT CHROMIUM URL TOKEN FOLDER
// Says on stdout, a JSON line a step, what it saw; goes on when a line comes on stdin. tests/front_page.rs is at the other end.
// With FOLDER it leaves pictures there.
import { createInterface } from "node:readline";

const [playwright, executablePath, url, token, folder] = process.argv.slice(2);
const { chromium } = await import(playwright);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Tells what was seen; comes back when the other end has done its part. */
async function step(seen) {
  console.log(JSON.stringify(seen));
  await lines.next();
}

const texts = (page, selector) => page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent));
const state = (page, name) => page.waitForSelector(`#connection[data-state=${name}]`);
const sequence = (page) => page.$$eval("#events li[data-seq]", (items) => items.map((item) => Number(item.dataset.seq)));

try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  const requests = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  // What stands behind # is not sent.
  page.on("request", (request) => requests.push(request.url().split("#")[0]));
  page.on("websocket", (socket) => requests.push(socket.url()));
  page.on("dialog", (dialog) => { complaints.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  const shot = (name, at = page) => (folder ? at.screenshot({ path: `${folder}/${name}.png`, fullPage: true }) : undefined);

  // Somebody without a link is told where a token is; a wrong one is told.
  await page.goto(url);
  await page.waitForSelector("#sign-in:not([hidden])");
  const hint = await page.textContent("#where");
  const focus = await page.evaluate(() => document.activeElement.id);
  await shot("sign-in");
  await page.keyboard.type("hive_wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("refusal").textContent);
  const refused = await page.textContent("#refusal");
  const complaintsOfRefusal = complaints.splice(0);
  await step({ hint, focus, refused, complaintsOfRefusal, shown: await page.isVisible("#live") });

  // The link signs in, and the address bar forgets the token at once.
  await page.goto(`${url}/#token=${encodeURIComponent(token)}`);
  await state(page, "live");
  await page.waitForSelector("#tasks td.none");
  const address = page.url();
  const kept = await page.evaluate(() => sessionStorage.getItem("agent-hive-token"));
  await page.reload();
  await state(page, "live");
  await page.waitForFunction(() => document.getElementById("totals").textContent.includes("healthy"));
  await step({ address, isKept: kept === token, totals: await texts(page, "#totals dt"), history: await page.evaluate(() => history.length) });

  // A task that is submitted, worked on and completed now appears, and so does a hostile one, as text.
  await page.waitForFunction(() => document.querySelectorAll("#tasks tr").length >= 2);
  await page.waitForFunction(() => [...document.querySelectorAll("#tasks td:first-child")].some((cell) => cell.textContent === "completed"));
  await page.waitForFunction(() => document.getElementById("agents").textContent.includes("ada"));
  await page.waitForFunction(() => document.getElementById("events").textContent.includes("task.completed"));
  await page.waitForFunction(() => [...document.querySelectorAll("#totals div")].some((tile) => tile.textContent === "Stored2"));
  const images = await page.$$eval("main img, main script, main b", (nodes) => nodes.length);
  await step({ titles: await texts(page, "#tasks td.name"), agents: await texts(page, "#agents tr"), images, seqs: await sequence(page) });

  // The hive is killed, and starts again: the page says so, and goes on where it was.
  await state(page, "away");
  await step({ away: await page.textContent("#connection") });
  await state(page, "live");
  await page.waitForFunction(() => document.getElementById("tasks").textContent.includes("after the restart"));
  await page.waitForFunction(() => document.getElementById("events").textContent.includes("after the restart"));
  const complaintsOfRestart = complaints.splice(0).filter((text) => !text.includes("net::ERR_CONNECTION_REFUSED") && !text.includes("WebSocket connection to"));
  await step({ seqs: await sequence(page), notes: await texts(page, "#events .warn"), complaintsOfRestart });

  // An alert is raised.
  await page.waitForFunction(() => document.querySelectorAll("#alerts p").length === 1);
  const alert = { text: await page.textContent("#alerts"), role: await page.getAttribute("#alerts", "role") };
  await shot("light");
  if (folder) {
    for (const [name, options] of [
      ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 900 } }],
      ["narrow", { viewport: { width: 360, height: 740 } }],
      ["narrow-dark-sign-in", { colorScheme: "dark", viewport: { width: 360, height: 740 } }],
    ]) {
      const other = await (await browser.newContext(options)).newPage();
      await other.goto(name.endsWith("sign-in") ? url : `${url}/#token=${encodeURIComponent(token)}`);
      if (!name.endsWith("sign-in")) await other.waitForSelector("#events li");
      await shot(name, other);
    }
  }
  // Nothing is wider than a small phone.
  await page.setViewportSize({ width: 360, height: 740 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await step({ alert, overflow });

  // Signing out closes the session and forgets the token.
  await page.click("#sign-out");
  await page.waitForSelector("#sign-in:not([hidden])");
  const forgotten = await page.evaluate(() => sessionStorage.getItem("agent-hive-token"));
  const leftovers = await page.evaluate(() => ["tasks", "agents", "events", "alerts"].map((id) => document.getElementById(id).childElementCount));
  await step({
    forgotten, leftovers, complaints, requests: [...new Set(requests.map((asked) => new URL(asked).host))],
    leaks: requests.filter((asked) => asked.includes(token)),
  });
} finally {
  await browser.close();
}
