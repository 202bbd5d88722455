"""Speed of models: `timing` of calls in turn, peak rates of the `machine`, the `suite` of both, and its `report`."""
