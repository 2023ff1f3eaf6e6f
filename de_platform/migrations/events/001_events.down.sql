{{drop transactions}};
{{drop executions}};
{{drop orders}};
