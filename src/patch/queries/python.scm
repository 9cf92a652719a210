; Behind the grammar's own query: the last pattern that fits a node decides.

; A call of a class makes a value of it. One capital letter is a type; the grammar's query has it for a constant.
((identifier) @constructor
 (#match? @constructor "^[A-Z]"))
(class_definition
  name: (identifier) @type)
((identifier) @constant
 (#match? @constant "^[A-Z][A-Z\\d_]+$"))
((identifier) @variable.builtin
 (#match? @variable.builtin "^(self|cls)$"))

; The grammar's query has the properties behind the methods.
(call
  function: (attribute
    attribute: (identifier) @function))

["and" "in" "is" "not" "or" "is not" "not in"] @keyword
