"""A page in the browser: restore photographs, follow trainings, look at pairs. Needs Gradio (the extra ``app``)."""
