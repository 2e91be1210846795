"""What ngrok's service says when it refuses, by ERR_NGROK number."""

from __future__ import annotations

DASHBOARD = "https://dashboard.ngrok.com"
ERRORS = {  # what the service says, by ERR_NGROK number; {} is the authtoken or the URL
    105: "The authtoken you specified does not look like a proper ngrok authtoken.\n"
    "Your authtoken: {}\nInstructions to install your authtoken are on your ngrok dashboard:\n"
    f"{DASHBOARD}/get-started/your-authtoken",
    107: "The authtoken you specified is properly formed, but it is invalid.\n"
    "Your authtoken: {}\nThis usually happens when:\n    - You reset your authtoken\n"
    f"Go to your ngrok dashboard:\n{DASHBOARD}/get-started/your-authtoken",
    108: "Your account is limited to 3 simultaneous ngrok agent sessions.\n"
    f"You can view your current agent sessions in the dashboard: {DASHBOARD}/agents.",
    313: "Custom subdomains are a feature on ngrok's paid plans.\nFailed to bind the URL '{}'.",
    334: "The endpoint '{}' is already online. Either\n1. stop your existing endpoint first, or\n"
    "2. start both endpoints with `--pooling-enabled` to load balance between them.",
    3004: "ngrok gateway error: The server returned an invalid or incomplete HTTP response.",
    3200: "The endpoint {} is offline.",
    4018: "This ngrok session is not authenticated. ngrok requires an account and a valid "
    f"credential to start a session.\n\nSign up for an account: {DASHBOARD}/signup\n"
    f"Get your credential: {DASHBOARD}/get-started/your-authtoken",
    8012: "Traffic successfully made it to the ngrok agent, but the agent failed to establish a "
    "connection to the upstream web service at {}.",
}


def service_says(number, about=""):
    text = ERRORS.get(number, "The service refused the request.").format(about)
    return f"{text}\r\n\r\nERR_NGROK_{number}\r\n"
