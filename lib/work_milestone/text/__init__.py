"""Texts in and out: lines fit for a terminal, keys masked, YAML that people write, templates.

Takes texts of others, whatever they hold; gives one printable line, checked data with the place of each value, a
document. Rules: nothing from outside becomes markup, a control sequence or a template; a fault says where it stands.
"""

from work_milestone.text.lines import count, last_line, last_lines, one_line, shown, size, span, wants_color

__all__ = [
    "count", "last_line", "last_lines", "masking", "one_line", "render", "shown", "size", "span", "wants_color",
    "yaml_files", "yaml_nodes",
]  # fmt: skip
