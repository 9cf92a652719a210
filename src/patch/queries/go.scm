; Behind the grammar's own query, in which the names stand behind the functions although the last pattern that fits a node decides.

(function_declaration
  name: (identifier) @function)
(method_declaration
  name: (field_identifier) @function)
(call_expression
  function: (identifier) @function)
(call_expression
  function: (selector_expression
    field: (field_identifier) @function))
(parameter_declaration
  name: (identifier) @variable.parameter)
(const_spec
  name: (identifier) @constant)
