"""What is read of each language, as data. A further language is a record here and a line in `pyproject.toml`.

The grammars are an extra, loaded when a file of their language is met; see `symbols`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar of tree-sitter, and what is looked for with it."""

    module: str
    """The package that holds it."""
    suffixes: tuple[str, ...]
    query: str
    """Captures `def` (the name of what a file defines), `ref` (a name that it uses) and `module` (what it
    imports: a name or a path)."""
    function: str = "language"
    """What of the package gives the language."""


_ECMASCRIPT: Final = """
(function_declaration name: (identifier) @def)
(generator_function_declaration name: (identifier) @def)
(class_declaration name: (_) @def)
(method_definition name: (property_identifier) @def)
(program (lexical_declaration (variable_declarator name: (identifier) @def)))
(program (variable_declaration (variable_declarator name: (identifier) @def)))
(export_statement (lexical_declaration (variable_declarator name: (identifier) @def)))
(assignment_expression left: (member_expression property: (property_identifier) @def)
  right: [(arrow_function) (function_expression)])
(call_expression function: [(identifier) @ref (member_expression property: (property_identifier) @ref)])
(new_expression constructor: (identifier) @ref)
(import_specifier name: (identifier) @ref)
(import_statement source: (string) @module)
(export_statement source: (string) @module)
(call_expression function: (identifier) @_require arguments: (arguments . (string) @module)
  (#eq? @_require "require"))
"""
_TYPESCRIPT: Final = (
    _ECMASCRIPT
    + """
(abstract_class_declaration name: (type_identifier) @def)
(interface_declaration name: (type_identifier) @def)
(type_alias_declaration name: (type_identifier) @def)
(enum_declaration name: (identifier) @def)
(function_signature name: (identifier) @def)
(type_annotation (type_identifier) @ref)
(generic_type name: (type_identifier) @ref)
(extends_clause value: (identifier) @ref)
"""
)
_C: Final = """
(function_definition declarator: (function_declarator declarator: (identifier) @def))
(function_definition declarator: (pointer_declarator (function_declarator declarator: (identifier) @def)))
(struct_specifier name: (type_identifier) @def body: (_))
(enum_specifier name: (type_identifier) @def body: (_))
(union_specifier name: (type_identifier) @def body: (_))
(type_definition declarator: (type_identifier) @def)
(preproc_function_def name: (identifier) @def)
(call_expression function: [(identifier) @ref (field_expression field: (field_identifier) @ref)])
(type_identifier) @ref
(preproc_include path: (string_literal) @module)
"""

GRAMMARS: Final = (
    Grammar(
        "tree_sitter_python",
        (".py", ".pyi"),
        """
(class_definition name: (identifier) @def)
(function_definition name: (identifier) @def)
(module (expression_statement (assignment left: (identifier) @def)))
(call function: [(identifier) @ref (attribute attribute: (identifier) @ref)])
(class_definition superclasses: (argument_list [(identifier) @ref (attribute attribute: (identifier) @ref)]))
(decorator [(identifier) @ref (attribute attribute: (identifier) @ref)])
(type (identifier) @ref)
(attribute object: (identifier) @ref)
(import_from_statement module_name: (_) @module)
(import_from_statement name: (dotted_name (identifier) @ref))
(import_from_statement name: (dotted_name) @module)
(import_from_statement name: (aliased_import name: (dotted_name (identifier) @ref)))
(import_statement name: (dotted_name) @module)
""",
    ),
    Grammar("tree_sitter_javascript", (".js", ".jsx", ".mjs", ".cjs"), _ECMASCRIPT),
    Grammar("tree_sitter_typescript", (".ts", ".mts", ".cts"), _TYPESCRIPT, "language_typescript"),
    Grammar("tree_sitter_typescript", (".tsx",), _TYPESCRIPT, "language_tsx"),
    Grammar(
        "tree_sitter_go",
        (".go",),
        """
(function_declaration name: (identifier) @def)
(method_declaration name: (field_identifier) @def)
(type_spec name: (type_identifier) @def)
(source_file (const_declaration (const_spec name: (identifier) @def)))
(source_file (var_declaration (var_spec name: (identifier) @def)))
(call_expression function: [(identifier) @ref (selector_expression field: (field_identifier) @ref)])
(type_identifier) @ref
""",
    ),
    Grammar(
        "tree_sitter_rust",
        (".rs",),
        """
(struct_item name: (type_identifier) @def)
(enum_item name: (type_identifier) @def)
(union_item name: (type_identifier) @def)
(type_item name: (type_identifier) @def)
(trait_item name: (type_identifier) @def)
(function_item name: (identifier) @def)
(function_signature_item name: (identifier) @def)
(macro_definition name: (identifier) @def)
(const_item name: (identifier) @def)
(static_item name: (identifier) @def)
(call_expression function: [(identifier) @ref (field_expression field: (field_identifier) @ref)
  (scoped_identifier name: (identifier) @ref)])
(macro_invocation macro: (identifier) @ref)
(type_identifier) @ref
(mod_item name: (identifier) @module)
""",
    ),
    Grammar(
        "tree_sitter_java",
        (".java",),
        """
(class_declaration name: (identifier) @def)
(interface_declaration name: (identifier) @def)
(enum_declaration name: (identifier) @def)
(record_declaration name: (identifier) @def)
(annotation_type_declaration name: (identifier) @def)
(method_declaration name: (identifier) @def)
(method_invocation name: (identifier) @ref)
(method_invocation object: (identifier) @ref)
(type_identifier) @ref
(import_declaration (scoped_identifier name: (identifier) @ref))
""",
    ),
    Grammar("tree_sitter_c", (".c", ".h"), _C),
    Grammar(
        "tree_sitter_cpp",
        (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".ipp"),
        _C
        + """
(class_specifier name: (type_identifier) @def body: (_))
(alias_declaration name: (type_identifier) @def)
(function_declarator declarator: (field_identifier) @def)
(function_declarator declarator: (qualified_identifier name: (identifier) @def))
(call_expression function: (qualified_identifier name: (identifier) @ref))
""",
    ),
)

BY_SUFFIX: Final = {suffix: grammar for grammar in GRAMMARS for suffix in grammar.suffixes}
