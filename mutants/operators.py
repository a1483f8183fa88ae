"""The changes: every small edit of a module that a test should notice.

Not changed, since no behaviour follows from them: docstrings, annotations, the arguments of class
statements and of log calls, f-strings and other prose, and the arguments named in `_SKIPPED`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any"}
_DROPPED_METHODS = {"lower", "upper", "casefold", "strip", "copy"}
_KEPT_DECORATORS = {
    *("property", "cached_property", "staticmethod", "classmethod", "contextmanager"),
    *("asynccontextmanager", "dataclass", "overload", "override", "abstractmethod", "final"),
    *("lru_cache", "cache"),  # which change the time only
}
_SKIPPED = {
    *("help", "source", "absent_when", "derivation", "description"),  # compared with the documents
    *("strict", "encoding", "frozen", "slots", "kw_only", "init", "name"),
}
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_WORD = re.compile(r"[^\s]{1,60}")
_SIMPLE = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript, ast.Starred)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DROPPABLE = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Place:
    """Where a node stands.

    Attributes:
        function: the outermost function around it as (qualified name, first line); None at module
            level.
        name: the qualified name of the innermost function or class, `<module>` outside of all.
        lines: first and last line of its statement, or of the head of a compound one.
    """

    function: tuple[str, int] | None
    name: str
    lines: tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: the file, from the root of the project.
        place: where the change is.
        line: its first line, from 1.
        before: the changed lines as they are, without indentation.
        after: the same after the change.
        source: the whole file after the change.
    """

    path: str
    place: Place
    line: int
    before: str
    after: str
    source: str

    @property
    def identity(self) -> str:
        """What stays the same while other lines change."""
        return f"{self.path}\0{self.place.name}\0{self.before}\0{self.after}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Every change of a file, in its order, each text once."""
    lines = source.encode().splitlines(keepends=True)
    found: dict[str, Mutant] = {}
    for node, text, place in _Finder().changes(ast.parse(source)):
        changed = _replaced(lines, node, text)
        if changed != source and changed not in found:
            found[changed] = _described(path, source, changed, node.lineno, place)
    return list(found.values())


def _replaced(lines: list[bytes], node: ast.expr | ast.stmt, text: str) -> str:
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    head = b"".join(lines[:first]) + lines[first][: node.col_offset]
    tail = lines[last][node.end_col_offset :] + b"".join(lines[last + 1 :])
    return (head + text.encode() + tail).decode()


def _described(path: str, source: str, changed: str, line: int, place: Place) -> Mutant:
    old, new = source.splitlines(), changed.splitlines()
    end = 0
    while old[-1 - end] == new[-1 - end] and min(len(old), len(new)) - end > line:
        end += 1
    parts = (text[line - 1 : len(text) - end] for text in (old, new))
    before, after = (" ".join(" ".join(part).split()) for part in parts)
    return Mutant(path, place, line, before, after, changed)


Change = tuple[ast.expr | ast.stmt, str, Place]


class _Finder:
    """Walks over a module, knowing in which function and statement it is."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._function: tuple[str, int] | None = None
        self._statement = (1, 1)

    def changes(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield from self._definition(node)
            return
        outer = self._statement
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            self._statement = _head(node)
        place = Place(self._function, ".".join(self._names) or "<module>", self._statement)
        yield from ((old, text, place) for old, text in _edits(node))
        for child in _children(node):
            yield from self.changes(child)
        self._statement = outer

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> Iterator[Change]:
        self._statement = _head(node)
        place = Place(self._function, ".".join([*self._names, node.name]), self._statement)
        for decorator in node.decorator_list:
            named = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(named).rpartition(".")[2] not in _KEPT_DECORATORS:
                yield decorator, "(lambda it: it)", place
        if not isinstance(node, ast.ClassDef):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                yield from self.changes(default) if default else ()
        outer = self._function
        if not isinstance(node, ast.ClassDef) and outer is None:
            first = min((d.lineno for d in node.decorator_list), default=node.lineno)
            self._function = (place.name, first)
        self._names.append(node.name)
        for statement in _without_docstring(node.body):
            yield from self.changes(statement)
        self._names.pop()
        self._function = outer


def _head(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> tuple[int, int]:
    first = node.pattern if isinstance(node, ast.match_case) else node
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if body else first.end_lineno or first.lineno
    return first.lineno, max(first.lineno, last)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return [
        statement
        for statement in body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]


def _children(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0911 - a list of cases
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Assert():
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Call(func=ast.Attribute(attr=method)) if method in _LOG_METHODS:
            return
        case ast.Call(func=ast.Name(id="cast" | "TypeVar" | "NewType")):
            return
        case ast.Call(func=ast.Attribute(attr="get_logger")):
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name == "__all__" or _is_type_name(name):
            return
        case ast.Module(body=body):
            yield from _without_docstring(body)
        case ast.AnnAssign(value=value):
            yield from (value,) if value else ()
        case ast.keyword(arg=name) if name in _SKIPPED:
            return
        case _:
            for child in ast.iter_child_nodes(node):
                if not _is_docstring(child):
                    yield child


def _is_type_name(name: str) -> bool:
    return name.lstrip("_")[:1].isupper() and not name.isupper()


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _text(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if isinstance(node, _SIMPLE) else f"({text})"


Edit = tuple[ast.expr | ast.stmt, str]


def _edits(node: ast.AST) -> Iterator[Edit]:  # noqa: C901, PLR0912 - a list of cases
    """The changes of the node itself, not of what is in it."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            yield node, _text(ast.Compare(left, [_COMPARISONS[type(op)]()], [right]))
        case ast.BoolOp(op=op, values=values):
            yield (
                node,
                _text(ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)),
            )
            for kept in _each_dropped(values):
                yield node, _text(kept[0] if len(kept) == 1 else ast.BoolOp(op, kept))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, _text(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield node, _text(ast.BinOp(left, _ARITHMETIC[type(op)](), right))
        case ast.AugAssign(target=target, op=op, value=value):
            yield node, "pass"
            if type(op) in _ARITHMETIC:
                other = ast.AugAssign(target, _ARITHMETIC[type(op)](), value)
                yield node, ast.unparse(other)
        case ast.Constant(value=value):
            yield from ((node, repr(other)) for other in _other_values(value))
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            pass
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _other_tests(test, endless=isinstance(node, ast.While))
        case ast.comprehension(ifs=tests):
            yield from ((test, "True") for test in tests)
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield node, "return None"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Call():
            yield from _other_calls(node)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            yield from _shorter(node, elements)
        case ast.Continue():
            yield node, "break"
        case ast.Break():
            yield node, "continue"
        case _:
            pass
    if isinstance(node, _DROPPABLE) and not isinstance(node, ast.AugAssign):
        yield node, "pass"


def _each_dropped(values: list[ast.expr]) -> Iterator[list[ast.expr]]:
    for index in range(len(values)):
        yield values[:index] + values[index + 1 :]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _other_values(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
        if value:
            yield value - 1
    elif isinstance(value, str) and _WORD.fullmatch(value):
        yield value + "x"
        if value.swapcase() != value and "[" not in value:  # which would be a pattern's class
            yield value.swapcase()
    elif isinstance(value, bytes):
        yield value + b"x"


def _other_tests(test: ast.expr, *, endless: bool) -> Iterator[Edit]:
    if any(isinstance(part, ast.NamedExpr) for part in ast.walk(test)):
        return
    yield test, "False"
    if not endless:
        yield test, "True"


def _other_calls(call: ast.Call) -> Iterator[Edit]:
    function, arguments = call.func, call.args
    name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
    if name in {*_LOG_METHODS, "get_logger"}:
        return
    if isinstance(function, ast.Name) and name in _OTHER_FUNCTION:
        yield function, _OTHER_FUNCTION[name]
    if isinstance(function, ast.Attribute) and name in _DROPPED_METHODS and not arguments:
        yield call, _text(function.value)
    if name == "attrgetter" and len(arguments) > 1:
        for kept in _each_dropped(arguments):
            yield call, ast.unparse(ast.Call(function, kept, call.keywords))
        return
    named = [keyword.value for keyword in call.keywords if keyword.arg not in {None, *_SKIPPED}]
    for argument in (*arguments, *named):
        prose = isinstance(argument, ast.JoinedStr) or (
            isinstance(argument, ast.Constant) and " " in str(argument.value)
        )
        if not isinstance(argument, ast.Starred) and not _is_none(argument) and not prose:
            yield argument, "None"


def _shorter(node: ast.Tuple | ast.List | ast.Set, elements: list[ast.expr]) -> Iterator[Edit]:
    if len(elements) > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
        for kept in _each_dropped(elements):
            text = ast.unparse(type(node)(elts=kept, ctx=ast.Load()))  # type: ignore[call-arg]
            yield node, text
