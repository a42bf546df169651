"""What a zygote imports to know the vault's connector."""

from __future__ import annotations

from catalog import connectors

connectors.register("tests.vault:VaultConnector")
