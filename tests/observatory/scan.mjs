// Scores a host on ports of its own with the MDN HTTP Observatory's code, whose own scan takes no ports.
//
//   node scan.mjs PACKAGE HOST HTTP_PORT HTTPS_PORT

const [root, host, httpPort, httpsPort] = process.argv.slice(2);
const part = (name) => import(`${root}/src/${name}.js`);
const [{ retrieve }, { ALL_TESTS }, grader, charts] = await Promise.all(
  ["retriever/retriever", "constants", "grader/grader", "grader/charts"].map(part),
);

const answers = await retrieve(host, { httpPort, httpsPort });
const results = {};
let all = 100;
let penalties = 100;
for (const test of ALL_TESTS) {
  const output = test(answers);
  const modifier = grader.getScoreModifier(output.result);
  results[output.constructor.name] = output.result;
  all += modifier;
  penalties += Math.min(modifier, 0);
}
const score = penalties >= charts.MINIMUM_SCORE_FOR_EXTRA_CREDIT ? all : penalties;
console.log(JSON.stringify({ results, ...grader.getGradeForScore(score) }));
process.exit(0);
