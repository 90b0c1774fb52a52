// The transformer of 2017 in plain JavaScript: what minitx/models/seq2seq.py computes, without PyTorch.
//
//   const model = new transformer.Translator(minitxModels.numbers);
//   const { written } = model.translate(["two", " hundred"]);
//
// A matrix is { rows, cols, data }; data holds its numbers row after row as float32, as PyTorch does. Sums are
// made in float64 and rounded once when they are stored, so the results differ from PyTorch's in the last digits.
// Shape letters as in the book: T tokens, C model width, H heads, D width of one head, V words of the vocabulary.
//
// Whoever wants to see inside passes watch(place, values). It is called for every attention, with a place such as
// "decoder.blocks.1.cross_attention" and with what stands in `attention` below, head by head; for every residual
// connection, "decoder.blocks.1.cross_attention_residual", with x, what is added, and y; and for the logits.
"use strict";

globalThis.transformer = (() => {
  const BOS = 1; // beginning of a text, as in minitx.data.vocabulary
  const EOS = 2; // its end
  const EPS = 1e-5; // keeps a constant token from being divided by 0 in layerNorm
  // The rules of the whole model, and what to put in their place to see what each is there for. `removed` names
  // heads by attention, counted from 0: { "encoder.blocks.0.attention": [2, 3] }.
  const WHOLE = { scale: true, mask: true, positions: { src: true, tgt: true }, removed: {} };
  const BROKEN = { scale: false, mask: false, positions: { src: false, tgt: false } };

  // --- matrices ------------------------------------------------------------------------------------------

  const matrix = (rows, cols, data = new Float32Array(rows * cols)) => ({ rows, cols, data });
  const row = (x, i) => x.data.subarray(i * x.cols, (i + 1) * x.cols);

  function fill(rows, cols, entry) {
    const made = matrix(rows, cols);
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) made.data[i * cols + j] = entry(i, j);
    return made;
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  const add = (x, y) => matrix(x.rows, x.cols, x.data.map((number, i) => number + y.data[i]));

  // x Wᵀ + b: a layer's weight has one row for each feature that comes out, as in torch.nn.Linear.
  function linear(x, weight, bias) {
    return fill(x.rows, weight.rows, (i, j) => dot(row(x, i), row(weight, j)) + (bias ? bias.data[j] : 0));
  }

  // Columns from `first` on: one head's share of the features.
  const columns = (x, first, width) => fill(x.rows, width, (i, j) => x.data[i * x.cols + first + j]);

  function below(top, bottom) {
    const data = new Float32Array(top.data.length + bottom.data.length);
    data.set(top.data);
    data.set(bottom.data, top.data.length);
    return matrix(top.rows + bottom.rows, bottom.cols, data);
  }

  // --- layers --------------------------------------------------------------------------------------------

  // weight · (x - mean) / √(variance + eps) + bias, for each token by itself.
  function layerNorm(x, weight, bias) {
    const made = matrix(x.rows, x.cols);
    for (let i = 0; i < x.rows; i++) {
      const features = row(x, i);
      const mean = features.reduce((sum, number) => sum + number, 0) / x.cols;
      const variance = features.reduce((sum, number) => sum + (number - mean) ** 2, 0) / x.cols;
      const spread = Math.sqrt(variance + EPS);
      row(made, i).set(features.map((number, j) => ((number - mean) / spread) * weight.data[j] + bias.data[j]));
    }
    return made;
  }

  const relu = (x) => matrix(x.rows, x.cols, x.data.map((number) => Math.max(0, number)));

  // Positive shares that sum to 1; -Infinity gets 0.
  function softmax(scores) {
    const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Float64Array.from(scores, (score) => Math.exp(score - top));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }

  // PE[p, 2i] = sin(p / 10000^(2i/C)), PE[p, 2i + 1] = cos of the same.
  function sinusoid(position, feature, C) {
    const angle = position / 10000 ** ((feature - (feature % 2)) / C);
    return feature % 2 ? Math.cos(angle) : Math.sin(angle);
  }

  // One head: every query's average of the values, weighted by how well the keys match it.
  //   products = q kᵀ     scores = products / √D     masked = scores + bias, or -Infinity where a pair may not meet
  //   weights = softmax of each row     mixture = weights v
  function attention(q, k, v, { scale, allowed, bias = () => 0 }) {
    const products = fill(q.rows, k.rows, (i, j) => dot(row(q, i), row(k, j)));
    const scores = fill(q.rows, k.rows, (i, j) => products.data[i * k.rows + j] * scale);
    const masked = fill(q.rows, k.rows, (i, j) =>
      (allowed(i, j) ? scores.data[i * k.rows + j] + bias(i, j) : -Infinity));
    const weights = matrix(q.rows, k.rows);
    for (let i = 0; i < q.rows; i++) row(weights, i).set(softmax(row(masked, i)));
    const mixture = fill(q.rows, v.cols, (i, j) => {
      let sum = 0;
      for (let t = 0; t < v.rows; t++) sum += weights.data[i * k.rows + t] * v.data[t * v.cols + j];
      return sum;
    });
    return { q, k, v, products, scores, masked, weights, mixture };
  }

  // --- the model -----------------------------------------------------------------------------------------

  // The weights by name, from 8 bits to float32: level · scale, where every row of a matrix has its own scale.
  function unpack(file) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const levels = new Int8Array(bytes(file.levels).buffer);
    const scales = new Float32Array(bytes(file.scales).buffer);
    const parameters = {};
    let [level, scale] = [0, 0];
    for (const [name, shape] of file.parameters) {
      const [rows, cols] = shape.length === 2 ? shape : [1, shape[0]];
      parameters[name] = fill(rows, cols, (i, j) => levels[level + i * cols + j] * scales[scale + i]);
      level += rows * cols;
      scale += rows;
    }
    return parameters;
  }

  // What all our models have: weights by name, linear layers, multi-head attention, feed-forward networks.
  class Model {
    constructor(file) {
      this.config = file.config;
      this.parameters = unpack(file);
    }

    linear(place, x) {
      return linear(x, this.parameters[`${place}.weight`], this.parameters[`${place}.bias`]);
    }

    // Queries from x, keys and values from memory (x itself in self-attention); then all heads side by side.
    // A removed head looks as before, but 0 stands in the place of what it read.
    // A cache keeps keys and values: in self-attention those of x are appended, a memory's are made once.
    // bias(head, distance) is added to the scores of a pair that stands so far apart.
    attend(place, x, { memory = null, causal = false, cache = {}, bias = null, rules = WHOLE, watch }) {
      const H = this.config.num_heads;
      const D = this.config.d_model / H;
      const q = this.linear(`${place}.q_proj`, x);
      if (!memory || !cache.k) {
        const k = this.linear(`${place}.k_proj`, memory ?? x);
        const v = this.linear(`${place}.v_proj`, memory ?? x);
        [cache.k, cache.v] = cache.k ? [below(cache.k, k), below(cache.v, v)] : [k, v];
      }
      const { k, v } = cache;
      const earlier = k.rows - q.rows; // keys before the first query: causal is aligned at the bottom right
      const allowed = causal && rules.mask ? (i, j) => j <= i + earlier : () => true;
      const scale = rules.scale ? 1 / Math.sqrt(D) : 1;
      const heads = [...Array(H).keys()].map((h) =>
        attention(columns(q, h * D, D), columns(k, h * D, D), columns(v, h * D, D),
          { scale, allowed, ...(bias && { bias: (i, j) => bias(h, i + earlier - j) }) }));
      watch?.(place, { x, memory: memory ?? x, heads, scale, allowed });
      const removed = new Set(rules.removed[place]);
      const joined = fill(q.rows, H * D, (i, j) =>
        (removed.has(Math.floor(j / D)) ? 0 : heads[Math.floor(j / D)].mixture.data[i * D + (j % D)]));
      return this.linear(`${place}.out_proj`, joined);
    }

    feedForward(place, x, activation = relu) {
      return this.linear(`${place}.out_proj`, activation(this.linear(`${place}.in_proj`, x)));
    }

    newCaches(layers) {
      return [...Array(layers)].map(() => ({ seen: 0, own: {}, cross: {} }));
    }
  }

  class Translator extends Model {
    constructor(file) {
      super(file);
      this.vocabularies = file.vocabularies;
    }

    // Post-norm: y = norm(x + f(x)).
    residual(place, x, added, watch) {
      const norm = (part) => this.parameters[`${place}_residual.norm.${part}`];
      const y = layerNorm(add(x, added), norm("weight"), norm("bias"));
      watch?.(`${place}_residual`, { x, added, y });
      return y;
    }

    // Token vectors times √C, plus the positions, counted from `seen` on.
    embed(side, ids, seen, rules) {
      const C = this.config.d_model;
      const table = this.parameters[`${side}_embedding.weight`];
      return fill(ids.length, C, (i, j) => table.data[ids[i] * C + j] * Math.sqrt(C)
        + (rules.positions[side] ? sinusoid(seen + i, j, C) : 0));
    }

    // The source's tokens, each seen in the light of the others: the decoder's memory.
    encode(ids, { rules = WHOLE, watch } = {}) {
      let x = this.embed("src", ids, 0, rules);
      for (let layer = 0; layer < this.config.num_encoder_layers; layer++) {
        const block = `encoder.blocks.${layer}`;
        x = this.residual(`${block}.attention`, x, this.attend(`${block}.attention`, x, { rules, watch }), watch);
        x = this.residual(`${block}.feed_forward`, x, this.feedForward(`${block}.feed_forward`, x), watch);
      }
      return x;
    }

    newCaches() {
      return super.newCaches(this.config.num_decoder_layers);
    }

    // The logits of every next target token (T × V), for tokens that follow those the caches hold.
    decode(ids, memory, { caches = this.newCaches(), rules = WHOLE, watch } = {}) {
      let x = this.embed("tgt", ids, caches[0].seen, rules);
      caches.forEach((cache, layer) => {
        const block = `decoder.blocks.${layer}`;
        const own = { causal: true, cache: cache.own, rules, watch };
        const cross = { memory, cache: cache.cross, rules, watch };
        x = this.residual(`${block}.self_attention`, x, this.attend(`${block}.self_attention`, x, own), watch);
        x = this.residual(`${block}.cross_attention`, x, this.attend(`${block}.cross_attention`, x, cross), watch);
        x = this.residual(`${block}.feed_forward`, x, this.feedForward(`${block}.feed_forward`, x), watch);
        cache.seen += ids.length;
      });
      const logits = this.output(x);
      watch?.("logits", { x, logits });
      return logits;
    }

    // The logits of every word, from decoder states: its embedding is its row of the output layer, too.
    output(x) {
      return linear(x, this.parameters["tgt_embedding.weight"]);
    }

    // The most probable translation, word by word; then, for whoever watches, encoder and decoder once more over
    // the whole of it, as in training. Returns the tokens read and written, and the logits of the latter.
    translate(tokens, { rules = WHOLE, watch, limit = 40 } = {}) {
      const src = [...tokens.map((token) => this.vocabularies.src.indexOf(token)), EOS];
      const memory = this.encode(src, { rules, watch });
      const feed = rules.mask ? cached(this, memory, rules) : anew(this, memory, rules);
      const tgt = greedy(feed, { begin: BOS, end: EOS, limit });
      const logits = this.decode([BOS, ...tgt.slice(0, -1)], memory, { rules, watch });
      const written = tgt.filter((id) => id !== EOS).map((id) => this.vocabularies.tgt[id]).join("");
      return { src, tgt, logits, written };
    }
  }

  // --- generation: feed(ids) takes what is new and returns the logits of the token after it --------------

  const last = (logits) => row(logits, logits.rows - 1);

  function cached(model, memory, rules) {
    const caches = model.newCaches();
    return (ids) => last(model.decode(ids, memory, { caches, rules }));
  }

  // Without a mask, earlier tokens change when later ones come, and no cache is right: all is read anew.
  function anew(model, memory, rules) {
    const seen = [];
    return (ids) => {
      seen.push(...ids);
      return last(model.decode(seen, memory, { rules }));
    };
  }

  // The most probable token, again and again, until the end or the limit.
  function greedy(feed, { begin, end, limit }) {
    const written = [];
    let newest = begin;
    while (written.length < limit && newest !== end) {
      const logits = feed([newest]);
      newest = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
      written.push(newest);
    }
    return written;
  }

  return { BOS, EOS, WHOLE, BROKEN, Model, Translator, greedy, softmax, row, dot, fill, add, matrix, linear, layerNorm };
})();
