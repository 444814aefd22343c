// node read_and_write.mjs TSSHOGI DIR GAMES: for each game N of DIR (written by random_records) reads
// N.csa, N.kifu and N.kif with tsshogi and compares them with N.usi and with each other, and writes
// them again as N.theirs.csa and N.theirs.kifu. Prints the differences; exit code 1 if there are any.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [tsshogi, directory, games] = process.argv.slice(2);
const { importCSA, importKIF, exportCSA, exportKIF, getBlackPlayerName, getWhitePlayerName } = await import(
  pathToFileURL(tsshogi)
);
const readers = {
  csa: (bytes) => importCSA(new TextDecoder("utf-8").decode(bytes)),
  kifu: (bytes) => importKIF(new TextDecoder("utf-8").decode(bytes)),
  kif: (bytes) => importKIF(new TextDecoder("shift_jis").decode(bytes)),
};

// All that both sides know of a game: moves, start, names, seconds of each move, comments, the end.
function content(record) {
  const nodes = record.moves;
  const last = nodes[nodes.length - 1].move;
  return {
    usi: record.getUSI({ startpos: true, allMoves: true }),
    names: [getBlackPlayerName(record.metadata) ?? "", getWhitePlayerName(record.metadata) ?? ""],
    seconds: nodes.map((node) => node.elapsedMs / 1000),
    comments: nodes.map((node) => node.comment.trim()),
    end: "type" in last ? last.type : "none",
  };
}

// As «position startpos moves ...», whatever their way to say «no moves».
function normal(usi) {
  return usi.trim().replace(/ moves$/, "").replace(/ (resign|win)$/, "");
}

// CSA's own text: %+ILLEGAL_ACTION is a foul of Black, so White wins. tsshogi 2.2.0 takes the sign for the
// winner's, so what it says of such an end is turned round here, and counted.
const turned = { foulWin: "foulLose", foulLose: "foulWin" };
let signs = 0;

let differences = 0;
function differ(game, format, what, ours, theirs) {
  differences += 1;
  if (differences <= 20) {
    console.log(`game ${game}, ${format}, ${what}:\n  ours   ${ours}\n  theirs ${theirs}`);
  }
}

for (let game = 0; game < Number(games); game += 1) {
  const file = (extension) => path.join(directory, `${game}.${extension}`);
  const lines = fs.readFileSync(file("usi"), "utf-8").trim().split("\n");
  const usi = normal(lines[lines.length - 1]);
  let first;
  for (const [format, read] of Object.entries(readers)) {
    const record = read(fs.readFileSync(file(format)));
    if (record instanceof Error) {
      differ(game, format, "refused", "", record.message);
      continue;
    }
    const found = content(record);
    if (normal(found.usi) !== usi) {
      differ(game, format, "moves", usi, normal(found.usi));
    }
    if (format === "csa" && fs.readFileSync(file(format), "utf-8").includes("ILLEGAL_ACTION")) {
      found.end = turned[found.end] ?? found.end;
      signs += 1;
    }
    first ??= found;
    for (const what of ["names", "seconds", "comments", "end"]) {
      if (JSON.stringify(found[what]) !== JSON.stringify(first[what])) {
        differ(game, format, `${what} beside CSA's`, JSON.stringify(first[what]), JSON.stringify(found[what]));
      }
    }
    if (format === "csa") {
      fs.writeFileSync(file("theirs.csa"), exportCSA(record, { v3: { encoding: "UTF-8", milliseconds: true } }));
      fs.writeFileSync(file("theirs.kifu"), exportKIF(record));
    }
  }
}
console.log(
  `${games} games in ${Object.keys(readers).length} formats: ${differences} differences` +
    ` (besides ${signs} of CSA's ILLEGAL_ACTION, whose sign tsshogi takes for the winner's)`,
);
process.exit(differences === 0 ? 0 : 1);
