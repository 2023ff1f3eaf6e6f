{{drop normalization_errors}};
{{drop duplicates}};
