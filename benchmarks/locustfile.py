"""The same load in Locust: GET and check the status, as fast as it goes. Runs in Locust's own environment."""

from locust import FastHttpUser, constant, task


class Getter(FastHttpUser):  # type: ignore[misc]
    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def get(self) -> None:
        with self.client.get("/", catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
