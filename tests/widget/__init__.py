"""The canvas as a widget, in a JupyterLab that has ipywidgets and ipyreact and not flowbook's extension."""
