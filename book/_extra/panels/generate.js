// Writing token by token: what minitx/generate.py computes, of one text at a time.
//
//   const decoding = new generate.Decoding(model, memory);
//   const written = generate.greedy(decoding, { prompt: [transformer.BOS], maxNewTokens: 16 });
//
// The logits are float32, as the model gives them; what is computed from them here is float64.
"use strict";

globalThis.generate = (() => {
  const { row, softmax, EOS } = transformer;

  // A translation under way. With a cache only what is new is computed; without, all that was read so far, every time.
  // `work` counts the positions that went through the decoder, and those that would have, had it been the other way.
  class Decoding {
    constructor(model, memory, { cached = true } = {}) {
      Object.assign(this, { model, memory, cached, caches: model.newCaches(), seen: [] });
      this.work = { computed: 0, otherwise: 0 };
    }

    // Adds tokens to what was read; the logits of the token after them.
    feed(ids) {
      this.seen = [...this.seen, ...ids];
      const [read, other] = this.cached ? [ids, this.seen] : [this.seen, ids];
      this.work.computed += read.length;
      this.work.otherwise += other.length;
      const logits = this.model.decode(read, this.memory, this.cached ? { caches: this.caches } : {});
      return row(logits, logits.rows - 1);
    }

    // A second one that has read the same and goes its own way. Their work is counted together.
    fork() {
      const made = new Decoding(this.model, this.memory, this);
      const caches = this.caches.map(({ seen, own, cross }) => ({ seen, own: { ...own }, cross: { ...cross } }));
      return Object.assign(made, { caches, seen: this.seen, work: this.work });
    }
  }

  const best = (logits) => logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));

  // The most probable token, again and again, until the end or the limit.
  function greedy(decoding, { prompt, maxNewTokens }) {
    const written = [];
    let newest = prompt;
    while (written.length < maxNewTokens && written.at(-1) !== EOS) {
      newest = [best(decoding.feed(newest))];
      written.push(...newest);
    }
    return written;
  }

  // --- drawing -------------------------------------------------------------------------------------------

  // Logits divided by the temperature, and -Infinity for all tokens that may not be drawn. Ties at the edge of topK all
  // stay; topP counts after topK and keeps the fewest tokens that have this probability together.
  function truncated(logits, { temperature = 1, topK = null, topP = 1 } = {}) {
    let kept = Float64Array.from(logits, (logit) => logit / temperature);
    if (topK !== null) {
      const lowest = Float64Array.from(kept).sort().at(-Math.min(topK, kept.length));
      kept = kept.map((logit) => (logit < lowest ? -Infinity : logit));
    }
    if (topP < 1) {
      const shares = softmax(kept);
      let before = 0; // what the more probable tokens have together: the first always stays
      for (const id of [...shares.keys()].sort((a, b) => shares[b] - shares[a])) {
        if (before >= topP) kept[id] = -Infinity;
        before += shares[id];
      }
    }
    return kept;
  }

  // The token on which a chance from 0 to 1 falls, where each has its share of the way.
  function draw(shares, chance) {
    let drawn = null;
    let left = chance;
    for (const [id, share] of shares.entries()) {
      if (!share) continue;
      drawn = id;
      left -= share;
      if (left < 0) break;
    }
    return drawn;
  }

  // Chances between 0 and 1, the same for the same seed: x ← 16807 x mod 2³¹ - 1. Source: Park and Miller 1988.
  function chances(seed) {
    const LARGEST = 2 ** 31 - 1;
    let x = seed + 1; // 0 would stay 0
    const next = () => {
      x = (16807 * x) % LARGEST;
      return x / LARGEST;
    };
    for (let i = 0; i < 3; i++) next(); // a small seed begins with small numbers
    return next;
  }

  // --- beam search ---------------------------------------------------------------------------------------

  function logSoftmax(logits) {
    const top = logits.reduce((a, b) => Math.max(a, b));
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return Float64Array.from(logits, (logit) => logit - top - Math.log(total));
  }

  // score = log probability / ((5 + length) / 6)^penalty
  const score = (total, length, penalty) => total / ((5 + length) / 6) ** penalty;

  // One step at a time, so that each can be looked at: step() appends to `steps` the 2K best candidates, which are
  // { from, id, ids, total, score, fate }; `from` is the beam it extends, fate "kept", "ended" or "dropped".
  class BeamSearch {
    constructor(decoding, { prompt, numBeams, maxNewTokens, lengthPenalty = 0.6 }) {
      Object.assign(this, { numBeams, maxNewTokens, lengthPenalty });
      this.beams = [{ ids: [], total: 0, decoding, logProbs: logSoftmax(decoding.feed(prompt)) }];
      this.steps = [];
      this.best = null; // of those that have ended
      this.isDone = false;
    }

    step() {
      const length = this.steps.length + 1;
      const all = this.beams.flatMap((beam, from) => [...beam.logProbs].map((logProb, id) =>
        ({ from, id, total: beam.total + logProb })));
      const top = all.sort((a, b) => b.total - a.total).slice(0, 2 * this.numBeams).map((candidate) => ({
        ...candidate, ids: [...this.beams[candidate.from].ids, candidate.id],
        score: score(candidate.total, length, this.lengthPenalty), fate: "dropped",
      }));
      this.steps.push(top);
      const ends = ({ id }) => id === EOS || length === this.maxNewTokens;
      for (const candidate of top.filter(ends)) {
        candidate.fate = "ended";
        if (!this.best || candidate.score > this.best.score) this.best = candidate;
      }
      const kept = top.filter((candidate) => !ends(candidate)).slice(0, this.numBeams);
      for (const candidate of kept) candidate.fate = "kept";
      // No beginning can end above its own score at the greatest length: then all is decided.
      const bound = kept.length ? score(kept[0].total, this.maxNewTokens, this.lengthPenalty) : -Infinity;
      this.isDone = this.best !== null && bound <= this.best.score;
      this.beams = this.isDone ? [] : kept.map(({ from, id, ids, total }) => {
        const decoding = this.beams[from].decoding.fork();
        return { ids, total, decoding, logProbs: logSoftmax(decoding.feed([id])) };
      });
    }
  }

  return { Decoding, BeamSearch, best, greedy, truncated, draw, chances };
})();
