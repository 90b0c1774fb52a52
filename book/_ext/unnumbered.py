"""What stands beside a chapter has no number: "Going further", not "1.18. Going further".

Sphinx counts such pages on from the chapter's sections. Their figures and equations keep the
chapter's number.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-get-updated", take_numbers_away, priority=900)  # when all are given
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def take_numbers_away(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """From the titles, sections and entries of all pages that stand beside a chapter."""
    for name in filter(_stands_beside, env.toc_secnumbers):
        env.toc_secnumbers[name] = {}
        for title in (env.titles[name], env.longtitles[name]):
            title.attributes.pop("secnumber", None)
        for entry in env.tocs[name].findall(nodes.reference):
            entry.attributes.pop("secnumber", None)
    return []


def _stands_beside(name: str) -> bool:
    return name.startswith("exercises/") or name.endswith("_further")
