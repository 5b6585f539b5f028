"""A shell command that does what a page does."""

import streamlit as st


def show_command(line: str) -> None:
    """Show a command to be copied, and where it works."""
    st.code(line, language="bash", wrap_lines=True)
    st.caption("The same from a shell, in the folder of this project.")
