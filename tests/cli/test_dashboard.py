"""What `stanhop dashboard` hands to Streamlit's server."""

import os
import socket


def test_the_server_asks_nothing_and_every_setting_is_one_that_it_knows(
    stanhop, monkeypatch, tmp_path
):
    """Not headless it would wait for an e-mail address, and let visitors install files beside the app."""
    from stanhop_app.cli import dashboard
    from streamlit import config

    started = []
    monkeypatch.setattr(dashboard, "hold_back", lambda: None)
    monkeypatch.setattr(os, "execve", lambda program, *told: started.append(told))
    stanhop("dashboard", "--runs", tmp_path)
    ((words, environment),) = started
    flags = words[words.index("--server.address") :]
    settings = dict(zip(flags[::2], flags[1::2], strict=True))
    assert settings["--server.showEmailPrompt"] == "false"
    assert settings["--browser.gatherUsageStats"] == "false"
    assert settings["--server.headless"] == "true"
    assert environment[dashboard.OPENS] == "http://127.0.0.1:8501"
    assert {name.removeprefix("--") for name in settings} <= set(config._config_options_template)


def test_a_port_is_chosen_where_any_will_do_and_no_browser_is_opened_unasked(
    stanhop, monkeypatch, tmp_path
):
    from stanhop_app.cli import dashboard

    started = []
    monkeypatch.setattr(dashboard, "hold_back", lambda: None)
    monkeypatch.setattr(os, "execve", lambda program, *told: started.append(told))
    stanhop("dashboard", "--runs", tmp_path, "--port", 0, "--no-browser")
    stanhop("dashboard", "--runs", tmp_path, "--port", 0, "--host", "::1")
    (one, quiet), (_, asked) = started
    assert 0 < int(one[one.index("--server.port") + 1]) < 65536
    assert dashboard.OPENS not in quiet
    assert asked[dashboard.OPENS].startswith("http://[::1]:")


def test_a_browser_is_opened_once_somebody_listens(monkeypatch):
    from stanhop_app.cli import dashboard_process

    opened = []
    monkeypatch.setattr(dashboard_process.webbrowser, "open", opened.append)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(dashboard_process, "PATIENCE", 0.3)
        dashboard_process.open_browser(url)
        assert opened == []
        server.listen()
        monkeypatch.setattr(dashboard_process, "PATIENCE", 5.0)
        dashboard_process.open_browser(url)
    assert opened == [url]
