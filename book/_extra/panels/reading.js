// What somebody types as a number, in the one spelling that the translator has learned: minitx.data.numbers.read.
//
//   reading.numbers("281")  →  ["two", " hundred", " eighty", " one"]
//
// What is no number from 0 to 23,999 is an error whose text is meant for the reader.
"use strict";

globalThis.reading = (() => {
  const COUNT = 24000;
  const ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    + "sixteen seventeen eighteen nineteen").split(" ");
  const TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");

  // 281 → "two hundred eighty one": no "and", no hyphens.
  function spell(number) {
    if (number < 20) return ONES[number];
    const [unit, name] = number < 100 ? [10] : number < 1000 ? [100, "hundred"] : [1000, "thousand"];
    const [first, rest] = [Math.floor(number / unit), number % unit];
    const words = name ? [spell(first), name] : [TENS[first - 2]];
    return [...words, ...(rest ? [spell(rest)] : [])].join(" ");
  }

  let spellings = null; // of all numbers, made when the first is asked for

  // Case, hyphens, commas and "and" make no difference; nor do accents written as signs of their own.
  function plain(typed) {
    const words = typed.toLowerCase().replace(/[-\u2010-\u2015\u2212,]/g, " ").split(" ");
    return words.filter((word) => word && word !== "and").join(" ");
  }

  function numbers(typed) {
    const text = typed.normalize("NFC").trim().split(/\s+/).join(" ");
    const wanted = `Wanted: a whole number from 0 to ${(COUNT - 1).toLocaleString("en")}, in English words or in digits.`;
    if (!text) throw new Error(`Nothing was typed. ${wanted}`);
    let spelling = plain(text);
    if (/^(\d+|\d{1,3}([, ]\d{3})+)$/.test(text)) {
      const number = Number(text.replace(/[, ]/g, ""));
      if (number >= COUNT) throw new Error(`${text} is too large. ${wanted}`);
      spelling = spell(number);
    }
    spellings ??= new Set([...Array(COUNT).keys()].map(spell));
    if (!spellings.has(spelling)) {
      const known = new Set([...ONES, ...TENS, "hundred", "thousand"]);
      const unknown = spelling.split(" ").filter((word) => !known.has(word));
      throw new Error(unknown.length
        ? `Not understood: ${unknown.map((word) => `“${word}”`).join(", ")}. ${wanted}`
        : `“${text}” is no number as one says it. ${wanted}`);
    }
    return spelling.split(" ").map((word, i) => (i ? ` ${word}` : word));
  }

  return { numbers, spell };
})();
