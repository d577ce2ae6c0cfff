"""What an edited module makes stale, from what rules declare: one look for all modules.

A rule is stale when its script imports the module, or when it comes behind a job of such a rule:
Snakemake makes everything anew that is behind what it makes. Real looks after some edits show it.
"""

import re

from projects import Project
from skymill.engine.digests import sources

RULE = re.compile(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", re.MULTILINE | re.DOTALL)
JOB = re.compile(r'^\s*(\d+)\[label = "(\w+)', re.MULTILINE)
NEEDS = re.compile(r"^\s*(\d+) -> (\d+)$", re.MULTILINE)


class StaleRules:
    """The jobs of a project for some targets, and the modules that their rules read."""

    def __init__(self, project: Project, *targets: str):
        graph = project.run(*targets, "--dag", "dot").stdout
        self._rules = dict(JOB.findall(graph))
        self._needs = NEEDS.findall(graph)
        scripts = project.path("workflow/scripts")
        text = "\n".join(path.read_text() for path in project.path("workflow/rules").glob("*.smk"))
        self._sources = {
            rule: set(sources(scripts / script[1], scripts))
            for rule, body in RULE.findall(text)
            if (script := re.search(r'\*\*(?:stage|simulation)\(\s*"(\w+\.py)"', body))
        }

    def after_edit(self, module: str) -> set[str]:
        """Return the rules that rerun after an edit, without `all` and `write_report`."""
        file = f"skymill/{module}"
        stale = {job for job, rule in self._rules.items() if file in self._sources.get(rule, ())}
        waiting = list(stale)
        while waiting:
            made = waiting.pop()
            behind = {job for source, job in self._needs if source == made} - stale
            stale |= behind
            waiting.extend(behind)
        return {self._rules[job] for job in stale} - {"all", "write_report"}
