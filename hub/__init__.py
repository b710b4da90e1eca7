"""What all services stand on: stage runtime, ledger, waiting set, configuration, telemetry and the command line."""
