; Behind the grammar's own query: the last pattern that fits a node decides.

; The grammar's query takes `Some(x)` for a call, and has no constants.
((identifier) @constructor
 (#match? @constructor "^[A-Z]"))
((identifier) @constant
 (#match? @constant "^[A-Z][A-Z\\d_]+$"))

[(integer_literal) (float_literal)] @number

(lifetime) @label
(lifetime "'" @label)
(lifetime (identifier) @label)

(shebang) @comment

[
  "!" "!=" "%" "%=" "&&" "&=" "*=" "+" "+=" "-" "-=" "->" ".." "..." "..=" "/" "/=" "<<" "<<=" "<=" "=" "==" "=>" ">="
  ">>" ">>=" "?" "^" "^=" "|" "|=" "||"
] @operator
(binary_expression ["<" ">"] @operator)

; A macro's sign belongs to its name.
(macro_invocation "!" @function)

; Signs that are none where they begin a comment for the documentation.
(outer_doc_comment_marker "/" @comment)
(inner_doc_comment_marker "!" @comment)
