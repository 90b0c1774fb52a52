"""What stands on a page is counted as its reader meets it."""

import nbformat

from minitx.authoring.pages import Page, anchors, read_page
from tests.authoring.conftest import HEADER

PAGE = f"""\
{HEADER}
# Two words

Three more words, and a [link of four](other.md#place) {{cite}}`nobody1999`.
<!-- not a word -->

$$
a = b
$$ (eq-a)

```{{code-cell}} ipython3
import math

x = math.pi
```

```{{code-cell}} ipython3
:tags: [hide-input]

print("a very long line that nobody sees unless it is unfolded: it is not counted as visible")
```

(here)=
## Seen

:::{{admonition}} A title
:class: said

Inside it.

```python
shown = 1
```
:::

| a | b |
|---|---|
| 1 | 2 |

```{{code-cell}} ipython3
:tags: [remove-input]

drawings.recipe()
```

```{{code-cell}} ipython3
---
tags: [remove-input]
mystnb:
  figure:
    name: fig-curve
    caption: Not prose
---
viz.lines(x)
```

<div class="playable" data-playable="one">

<p>What stands here without scripts.</p>
<div>inner</div>

</div>

<div class="question" id="q-1-one">

**Question.** How many?

<details><summary>Answer</summary>

**1,024** (± 1) No more.

</details>
</div>

<details><summary>More</summary>

Folded words are not counted, and $$x$$ is not either.

</details>
"""

PAGE_READ = Page("01_page", PAGE, {})


def test_pieces_come_in_the_order_of_the_page():
    kinds = [piece.kind for piece in PAGE_READ.pieces]
    assert kinds == [
        *("heading", "prose", "equation", "code", "code", "heading", "prose", "prose", "fence"),
        *("table", "drawing", "figure", "panel", "question"),
    ]


def test_each_kind_is_counted():
    counted = vars(PAGE_READ.size)
    assert counted == {
        # the two headings, the paragraph, title and text of the box, the table, the question
        "words": (2 + 1) + 8 + (2 + 2) + 4 + 3,
        "code_lines": 3,
        "longest_cell": 3,
        "longest_line": 11,
        "equations": 1,
        "tables": 1,
        "drawings": 1,
        "figures": 1,
        "panels": 1,
        "questions": 1,
    }


def test_a_longer_fold_adds_no_word_and_a_longer_paragraph_does():
    folded = Page("01_page", PAGE.replace("Folded words", "Folded words and more of them"), {})
    assert folded.size == PAGE_READ.size
    longer = Page("01_page", PAGE.replace("Inside it.", "Inside it and more."), {})
    assert longer.size.words == PAGE_READ.size.words + 2


def test_a_link_can_end_at_a_label_a_heading_or_a_figure():
    text = '(here)=\n## Exercise 1.2: A soft lookup\n\n---\nmystnb:\n    name: fig-a\n<p id="q">'
    assert anchors(text) == {
        *(
            "here",
            "exercise-12-a-soft-lookup",
            "exercise-1-2-a-soft-lookup",
            "exercise-1-2",
            "fig-a",
            "q",
        )
    }


def test_main_pages_and_further_pages_and_others_are_told_apart():
    main, further, other = (Page(name, "", {}) for name in ("01_a", "01_a_further", "intro"))
    assert (main.is_main, further.is_main, other.is_main) == (True, False, False)
    assert (main.is_chapter, further.is_chapter, other.is_chapter) == (True, True, False)


def test_of_what_was_drawn_the_words_count_and_not_the_places(course):
    """A number asked for does not stand on the page because something is drawn 16 to the right."""
    new = nbformat.v4
    drawn = "<svg><style>.a { x: 16px }</style><text x='16'>24 mm</text></svg>"
    outputs = [
        new.new_output("display_data", data={"image/svg+xml": drawn, "text/plain": "<Drawing>"}),
        new.new_output("stream", name="stdout", text="32\n"),
    ]
    cells = [new.new_code_cell("x = 20", outputs=outputs)]
    nbformat.write(new.new_notebook(cells=cells), course / "book/01_small.ipynb")
    printed = read_page(course, "01_small").outputs["x = 20"]
    assert printed.split() == ["24", "mm", "<Drawing>", "32"]
