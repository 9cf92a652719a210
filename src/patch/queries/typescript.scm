; Behind JavaScript's query and TypeScript's: the last pattern that fits a node decides.

; TypeScript's query takes all that begins with a capital letter for a type.
((identifier) @constant
 (#match? @constant "^[A-Z_][A-Z\\d_]+$"))

["asserts" "infer" "is" "module"] @keyword

(regex "/" @string)
(type_parameters ["<" ">"] @punctuation.bracket)
