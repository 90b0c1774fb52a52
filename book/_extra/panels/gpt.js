// A GPT of characters in plain JavaScript: what minitx/models/gpt.py computes with ALiBi for its positions.
"use strict";

transformer.GPT = (() => {
  const { Model, add, fill, matrix, linear, layerNorm } = transformer;

  // x Φ(x), with tanh for Φ.
  const gelu = (x) => matrix(x.rows, x.cols, x.data.map((number) =>
    (number / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (number + 0.044715 * number ** 3)))));

  return class GPT extends Model {
    constructor(file) {
      super(file);
      this.characters = file.characters;
    }

    newCaches() {
      return super.newCaches(this.config.num_layers);
    }

    norm(place, x) {
      return layerNorm(x, this.parameters[`${place}.weight`], this.parameters[`${place}.bias`]);
    }

    // The logits of the character after each of ids (T × V), which follow those the caches hold. It reads no source:
    // the second parameter is there for generate.Decoding.
    decode(ids, _, { caches = this.newCaches() } = {}) {
      const { d_model: C, num_heads: H } = this.config;
      const table = this.parameters["embedding.weight"];
      const bias = (head, distance) => -(2 ** ((-8 * (head + 1)) / H)) * distance; // ALiBi, H a power of two
      let x = fill(ids.length, C, (i, j) => table.data[ids[i] * C + j]);
      caches.forEach((cache, layer) => {
        // Pre-norm: x + f(norm(x)).
        const block = `blocks.blocks.${layer}`;
        const read = this.norm(`${block}.attention_residual.norm`, x);
        x = add(x, this.attend(`${block}.attention`, read, { causal: true, cache: cache.own, bias }));
        const normed = this.norm(`${block}.feed_forward_residual.norm`, x);
        x = add(x, this.feedForward(`${block}.feed_forward`, normed, gelu));
        cache.seen += ids.length;
      });
      return linear(this.norm("blocks.norm", x), table);
    }
  };
})();
