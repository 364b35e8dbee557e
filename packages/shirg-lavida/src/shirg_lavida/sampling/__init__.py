"""From a prefix to an answer: schedules, remasking, denoising steps."""
