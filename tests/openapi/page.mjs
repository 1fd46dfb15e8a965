// Looks at /api/docs in a real browser that can reach no host but this one:
//   node page.mjs PLAYWRIGHT CHROMIUM URL TOKEN
// Prints what it saw as JSON; tests/openapi.rs says what that must be.
const [playwright, executablePath, url, token] = process.argv.slice(2);
const { chromium } = await import(playwright);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
try {
  const page = await browser.newPage();
  const complaints = [];
  const hosts = new Set();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => hosts.add(new URL(request.url()).origin));
  await page.goto(`${url}/api/docs`);
  await page.waitForSelector(".operation");
  const operations = await page.$$eval(".operation", (cards) => cards.map((card) => card.id));

  await page.fill("#token", "wrong");
  await page.locator("#token").blur();
  await page.waitForSelector("#who.bad");
  const refused = await page.textContent("#who");
  const complaintsOfRefusal = complaints.splice(0);
  await page.fill("#token", token);
  await page.locator("#token").blur();
  await page.waitForSelector("#who.good");

  // Every card opens, and has a button to try it and a row for each answer.
  for (const id of operations) await page.evaluate((id) => { document.getElementById(id).open = true; }, id);
  await page.waitForFunction((count) => document.querySelectorAll(".operation button").length === count, operations.length);

  await page.click("#submit_task button");
  await page.waitForSelector("#submit_task .answer strong");
  const submitted = JSON.parse(await page.textContent("#submit_task .answer pre"));
  const command = await page.textContent("#submit_task .answer pre:last-child");
  await page.fill("#show_task input[name=id]", submitted.id);
  await page.click("#show_task button");
  await page.waitForSelector("#show_task .answer strong");
  const shown = JSON.parse(await page.textContent("#show_task .answer pre"));
  await page.fill("#filter", "lease assignments");
  const found = await page.locator("nav a:visible").allTextContents();
  console.log(JSON.stringify({
    operations, complaints, complaintsOfRefusal, hosts: [...hosts], refused, submitted, shown, command, found,
  }));
} finally {
  await browser.close();
}
