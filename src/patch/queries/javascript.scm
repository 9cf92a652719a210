; Behind the grammar's own query: the last pattern that fits a node decides.

(class_declaration
  name: (identifier) @type)
(formal_parameters
  (identifier) @variable.parameter)
["static"] @keyword

(regex "/" @string)
